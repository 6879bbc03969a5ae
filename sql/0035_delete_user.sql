-- Second half of DeleteUser, once the password is known to match the hash p_password. Of the user's row the name and the time
-- are kept, so that the name is never free again; sessions and what is remembered of logins go. Conversations stay, for their
-- other users. Answers ('ok', name as created), then the connections to be closed as end_connections does, or
-- ('invalid_token'), or ('invalid_credentials') if p_password is no longer the user's hash.
CREATE PROCEDURE IF NOT EXISTS delete_user(
  p_token    BINARY(32),
  p_password VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
delete_user: BEGIN
  DECLARE v_caller, v_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_live BOOLEAN DEFAULT FALSE;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE delete_user;
  END IF;

  START TRANSACTION;
  SELECT username INTO v_username
    FROM users
   WHERE username = v_caller AND CAST(password AS BINARY) = CAST(p_password AS BINARY)
     FOR UPDATE;
  -- Another call may have ended this session between the look-up and the lock.
  SELECT TRUE INTO v_live FROM live_sessions WHERE token = p_token;
  IF v_username IS NULL OR NOT v_live THEN
    ROLLBACK;
    SELECT IF(v_live, 'invalid_credentials', 'invalid_token');
    LEAVE delete_user;
  END IF;
  UPDATE users
     SET password = NULL, logged_in = NULL, deleted = UTC_TIMESTAMP(6), position = 0, connected = NULL
   WHERE username = v_caller;
  CALL end_sessions(v_caller, NULL);
  BEGIN
    -- As in sweep.
    DECLARE v_source VARBINARY(8);
    DECLARE attempts CURSOR FOR SELECT source FROM login_attempts WHERE username = v_caller ORDER BY source;
    DECLARE EXIT HANDLER FOR NOT FOUND BEGIN END;
    OPEN attempts;
    LOOP
      FETCH attempts INTO v_source;
      DELETE FROM login_attempts WHERE username = v_caller AND source = v_source;
    END LOOP;
  END;
  COMMIT;

  SELECT 'ok', v_username;
  CALL end_connections(v_caller);
END
