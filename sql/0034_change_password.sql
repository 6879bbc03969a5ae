-- Second half of ChangePassword, once the current password is known to match the hash p_password: stores another, and ends
-- the user's other sessions. Answers ('ok', name as created), then the connections to be closed as end_connections does, or
-- ('invalid_token'), or ('invalid_credentials') if p_password is no longer the user's hash.
CREATE PROCEDURE IF NOT EXISTS change_password(
  p_token        BINARY(32),
  p_password     VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_new_password VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source       VARBINARY(8)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
change_password: BEGIN
  DECLARE v_caller, v_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_expires DATETIME(6);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE change_password;
  END IF;

  START TRANSACTION;
  -- The new hash carries a random salt: if it is there, this call is repeated after its reply was lost.
  SELECT username INTO v_username
    FROM users
   WHERE username = v_caller
     AND CAST(password AS BINARY) IN (CAST(p_password AS BINARY), CAST(p_new_password AS BINARY))
     FOR UPDATE;
  -- Another change may have ended this session between the look-up and the lock.
  SELECT expires INTO v_expires FROM live_sessions WHERE token = p_token;
  IF v_username IS NULL OR v_expires IS NULL THEN
    ROLLBACK;
    SELECT IF(v_expires IS NULL, 'invalid_token', 'invalid_credentials');
    LEAVE change_password;
  END IF;
  UPDATE users SET password = p_new_password, logged_in = v_expires WHERE username = v_caller;
  CALL end_sessions(v_caller, p_token);
  CALL succeed_login(v_caller, p_source);
  COMMIT;

  SELECT 'ok', v_username;
  CALL end_connections(v_caller);
END
