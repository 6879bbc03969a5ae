-- Ends a session of the caller, be it this one or another. Answers ('ok', name as created, whether the user still has a live
-- session), then the connections to be closed as end_connections does, or ('invalid_token'), ('forbidden', the field at
-- fault), ('unknown_session').
CREATE PROCEDURE IF NOT EXISTS end_session(
  p_token    BINARY(32),
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_session  BINARY(32)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
end_session: BEGIN
  DECLARE v_caller, v_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_live, v_found BOOLEAN DEFAULT FALSE;
  DECLARE v_logged_in DATETIME(6);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE end_session;
  END IF;
  IF p_username <> v_caller THEN
    SELECT 'forbidden', 'username';
    LEAVE end_session;
  END IF;

  START TRANSACTION;
  SELECT username INTO v_username FROM users WHERE username = v_caller FOR UPDATE;
  -- Another may have ended it between the look-up and the lock.
  SELECT TRUE INTO v_live FROM live_sessions WHERE token = p_token;
  SELECT TRUE INTO v_found FROM live_sessions WHERE token = p_session AND username = v_caller;
  IF NOT v_live OR NOT v_found THEN
    ROLLBACK;
    SELECT IF(v_live, 'unknown_session', 'invalid_token');
    LEAVE end_session;
  END IF;
  DELETE FROM sessions WHERE token = p_session;
  SELECT MAX(expires) INTO v_logged_in FROM live_sessions WHERE username = v_caller;
  UPDATE users SET logged_in = v_logged_in WHERE username = v_caller;
  COMMIT;

  SELECT 'ok', v_username, v_logged_in IS NOT NULL;
  CALL end_connections(v_caller);
END
