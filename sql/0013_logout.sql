-- Ends the session, or with p_everywhere all of the user's. Answers ('ok', name as created, whether the
-- user still has a live session), then the connections to be closed as end_connections does; or ('invalid_token'),
-- ('forbidden', the field at fault).
CREATE PROCEDURE IF NOT EXISTS logout(
  p_token      BINARY(32),
  p_username   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_everywhere BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
logout: BEGIN
  DECLARE v_caller, v_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_logged_in DATETIME(6);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE logout;
  END IF;
  IF p_username <> v_caller THEN
    SELECT 'forbidden', 'username';
    LEAVE logout;
  END IF;

  START TRANSACTION;
  SELECT username INTO v_username FROM users WHERE username = v_caller FOR UPDATE;
  DELETE FROM sessions WHERE token = p_token;
  IF ROW_COUNT() = 0 THEN
    -- Another logout ended it between the look-up and the lock.
    ROLLBACK;
    SELECT 'invalid_token';
    LEAVE logout;
  END IF;
  IF p_everywhere THEN
    CALL end_sessions(v_caller, NULL);
  END IF;
  SELECT MAX(expires) INTO v_logged_in FROM live_sessions WHERE username = v_caller;
  UPDATE users SET logged_in = v_logged_in WHERE username = v_caller;
  COMMIT;

  SELECT 'ok', v_username, v_logged_in IS NOT NULL;
  CALL end_connections(v_caller);
END
