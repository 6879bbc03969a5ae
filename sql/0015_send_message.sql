-- Stores a message once and for ever. Answers ('ok' or 'replayed', id, sender and receiver as created,
-- time stamp), after 'ok' also who is to be told as push_conversation does; or ('invalid_token'), ('forbidden', the field
-- at fault), ('unknown_receiver'), ('blocked'), ('key_reused').
CREATE PROCEDURE IF NOT EXISTS send_message(
  p_token           BINARY(32),
  p_sender          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_receiver        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_message         TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  p_idempotency_key BINARY(16)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
send_message: BEGIN
  DECLARE v_caller, v_receiver, v_first, v_second VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_conversation, v_id, v_stored_id BIGINT;
  DECLARE v_looked_up, v_time DATETIME(6);
  DECLARE v_behind, v_blocked, v_connected, v_same BOOLEAN;
  DECLARE v_duplicate BOOLEAN DEFAULT FALSE;
  -- A lock wait timeout undoes one statement only.
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  -- On MySQL a KILLed statement can leave its transaction open, and START TRANSACTION would commit it.
  ROLLBACK AND NO CHAIN NO RELEASE;
  -- The CALL of a client that gave up must not wait for long. With its snapshot isolation, MariaDB would refuse
  -- updates of rows that others have changed since (1020).
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  -- Not READ COMMITTED: with a statement-based binary log, InnoDB would refuse every write (1665).
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT s.username, r.username,
         c.connected > UTC_TIMESTAMP(6) OR r.connected > UTC_TIMESTAMP(6),
         UTC_TIMESTAMP(6)
    INTO v_caller, v_receiver, v_connected, v_looked_up
    FROM live_sessions AS s
    JOIN users AS c ON c.username = s.username
    LEFT JOIN users AS r ON r.username = p_receiver AND r.deleted IS NULL
   WHERE s.token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE send_message;
  END IF;
  IF p_sender <> v_caller THEN
    SELECT 'forbidden', 'sender';
    LEAVE send_message;
  END IF;
  IF v_receiver IS NULL THEN
    -- A replay gets its first answer whatever has become of the receiver.
    SELECT id, receiver, time_stamp INTO v_stored_id, v_receiver, v_time
      FROM messages
     WHERE sender = v_caller AND idempotency_key = p_idempotency_key
       AND receiver = p_receiver AND CAST(message AS BINARY) = CAST(p_message AS BINARY);
    IF v_stored_id IS NULL THEN
      SELECT 'unknown_receiver';
    ELSE
      SELECT 'replayed', v_stored_id, v_caller, v_receiver, DATE_FORMAT(v_time, '%Y-%m-%dT%H:%i:%s.%fZ');
    END IF;
    LEAVE send_message;
  END IF;

  SET v_first = LEAST(v_caller, v_receiver), v_second = GREATEST(v_caller, v_receiver);
  SELECT conversation_id INTO v_conversation
    FROM conversations WHERE first_user = v_first AND second_user = v_second;
  IF v_conversation IS NULL THEN
    CALL create_conversation(v_first, v_second, v_conversation);
  END IF;

  START TRANSACTION;
  UPDATE conversations
     SET last_id = last_id + 1,
         last_time = GREATEST(last_time, UTC_TIMESTAMP(6)),
         longest = GREATEST(longest, LENGTH(p_message))
   WHERE conversation_id = v_conversation;
  SELECT last_id, last_time INTO v_id, v_time FROM conversations WHERE conversation_id = v_conversation;
  BEGIN
    DECLARE EXIT HANDLER FOR 1062 SET v_duplicate = TRUE;
    INSERT INTO messages (conversation_id, id, sender, receiver, message, time_stamp, idempotency_key)
    VALUES (v_conversation, v_id, v_caller, v_receiver, p_message, v_time, p_idempotency_key);
  END;
  IF NOT v_duplicate THEN
    -- In the order of the primary key, which FORCE INDEX makes sure of: a scan would lock the rows of others. A change is
    -- only marked: a number that senders took from one counter would make all who write to one user wait for each other.
    UPDATE memberships FORCE INDEX (PRIMARY)
       SET last_time = v_time, unread = unread + (username = v_receiver AND username <> peer), position = NULL
     WHERE (username = v_first AND peer = v_second OR username = v_second AND peer = v_first) AND NOT blocked;
    IF ROW_COUNT() <= (v_first <> v_second) THEN
      -- Whoever sets a block waits for the locks on the memberships: for this message, or until it is seen here. A locking
      -- read, as a plain one may not see what another has committed since the snapshot.
      SELECT MAX(blocked) INTO v_blocked
        FROM memberships FORCE INDEX (PRIMARY)
       WHERE username = v_first AND peer = v_second OR username = v_second AND peer = v_first
         FOR UPDATE;
      IF v_blocked THEN
        ROLLBACK;
        SELECT 'blocked';
        LEAVE send_message;
      END IF;
    END IF;
    COMMIT;
    SELECT 'ok', v_id, v_caller, v_receiver, DATE_FORMAT(v_time, '%Y-%m-%dT%H:%i:%s.%fZ');
    -- Who has connected since the look-up, if that is not long ago, asks for changes only now (see connect).
    IF v_connected OR UTC_TIMESTAMP(6) > v_looked_up + INTERVAL 100000 MICROSECOND THEN
      CALL push_conversation(v_caller, v_receiver);
    END IF;
    LEAVE send_message;
  END IF;

  ROLLBACK;
  SELECT id, time_stamp, receiver = v_receiver AND CAST(message AS BINARY) = CAST(p_message AS BINARY)
    INTO v_stored_id, v_time, v_same
    FROM messages WHERE sender = v_caller AND idempotency_key = p_idempotency_key;
  IF v_same THEN
    SELECT 'replayed', v_stored_id, v_caller, v_receiver, DATE_FORMAT(v_time, '%Y-%m-%dT%H:%i:%s.%fZ');
  ELSEIF v_stored_id IS NOT NULL THEN
    SELECT MAX(blocked) INTO v_blocked
      FROM memberships FORCE INDEX (PRIMARY)
     WHERE username = v_first AND peer = v_second OR username = v_second AND peer = v_first;
    SELECT IF(v_blocked, 'blocked', 'key_reused');
  ELSE
    -- Nothing has this key, so another message should have this id.
    SELECT COUNT(*) > 0 INTO v_behind
      FROM conversations JOIN messages USING (conversation_id)
     WHERE conversation_id = v_conversation AND id > last_id;
    IF v_behind THEN
      -- As after a partial restore.
      SIGNAL SQLSTATE '23000'
        SET MYSQL_ERRNO = 1062, MESSAGE_TEXT = 'last_id is behind the messages of the conversation';
    END IF;
    -- None has, so a statement was cut off. Nothing is stored, and the call can be repeated, as after a deadlock. (A 1062
    -- without any cause in the data was seen once, on MariaDB under KILL QUERY.)
    SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213, MESSAGE_TEXT = 'a duplicate that is not there';
  END IF;
END
