-- Notes a connection of the session's user. Answers ('ok'), then those that it displaces as end_connections does, or
-- ('invalid_token').
CREATE PROCEDURE IF NOT EXISTS connect(p_token BINARY(32), p_connection VARBINARY(128))
SQL SECURITY DEFINER
MODIFIES SQL DATA
connect: BEGIN
  DECLARE v_caller VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_now, v_connected DATETIME(6);
  DECLARE v_gone, v_same BOOLEAN;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  -- As in send_message.
  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  START TRANSACTION;
  -- Whoever ends the session holds the user's row, or waits for it and then finds the connection.
  SELECT connected INTO v_connected FROM users WHERE username = v_caller FOR UPDATE;
  SELECT COUNT(*) = 0 INTO v_gone FROM live_sessions WHERE token = p_token;
  IF v_gone THEN
    ROLLBACK;
    SELECT 'invalid_token';
    LEAVE connect;
  END IF;
  -- It is there already if this call is repeated after its reply was lost.
  SET v_now = UTC_TIMESTAMP(6);
  INSERT INTO connections (connection_id, username, token, created) VALUES (p_connection, v_caller, p_token, v_now)
  ON DUPLICATE KEY UPDATE created = created;
  SELECT token = p_token INTO v_same FROM connections WHERE connection_id = p_connection;
  IF NOT v_same THEN
    SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = 'the connection is one of another session';
  END IF;
  -- API Gateway closes a connection after two hours; the rest is time to come back.
  IF COALESCE(v_connected, v_now) < v_now + INTERVAL 125 MINUTE THEN
    UPDATE users SET connected = v_now + INTERVAL 130 MINUTE WHERE username = v_caller;
  END IF;
  COMMIT;
  IF COALESCE(v_connected, v_now) NOT BETWEEN v_now + INTERVAL 1 SECOND AND v_now + INTERVAL 130 MINUTE - INTERVAL 1 SECOND THEN
    -- It was not set, or only just. Sends look for connections only if they have seen it, or if they take longer than this. A
    -- shorter one that has not seen it is over after this, so the client finds its message when it asks for changes.
    DO SLEEP(0.1);
  END IF;

  SELECT 'ok';
  CALL end_connections(v_caller);
  CALL sweep();
END
