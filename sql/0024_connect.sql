-- Notes a connection of the session's user. Answers ('ok'), then those that it displaces as end_connections does, or
-- ('invalid_token').
CREATE PROCEDURE IF NOT EXISTS connect(p_token BINARY(32), p_connection VARBINARY(128))
SQL SECURITY DEFINER
MODIFIES SQL DATA
connect: BEGIN
  DECLARE v_caller VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_same BOOLEAN;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  -- As in send_message.
  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  START TRANSACTION;
  -- Locked until the connection is there: who ends the session waits, and then finds it.
  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token LOCK IN SHARE MODE;
  IF v_caller IS NULL THEN
    ROLLBACK;
    SELECT 'invalid_token';
    LEAVE connect;
  END IF;
  -- It is there already if this call is repeated after its reply was lost.
  INSERT INTO connections (connection_id, username, token, created)
  VALUES (p_connection, v_caller, p_token, UTC_TIMESTAMP(6))
  ON DUPLICATE KEY UPDATE created = created;
  SELECT token = p_token INTO v_same FROM connections WHERE connection_id = p_connection;
  IF NOT v_same THEN
    SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = 'the connection is one of another session';
  END IF;
  COMMIT;

  SELECT 'ok';
  CALL end_connections(v_caller);
  CALL sweep();
END
