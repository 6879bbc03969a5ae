-- Moves the caller's read marker in the conversation of the two users forward to p_id. Answers ('ok', read_id, unread),
-- after a move also who is to be told as push_conversation does; or ('invalid_token'), ('forbidden', the field at fault),
-- ('unknown_message') if no message has this id yet.
CREATE PROCEDURE IF NOT EXISTS mark_read(
  p_token    BINARY(32),
  p_sender   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_receiver VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_id       BIGINT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
mark_read: BEGIN
  DECLARE v_caller, v_peer VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_conversation, v_last_id, v_read_id, v_unread, v_read BIGINT;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  -- As in send_message.
  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username, IF(first_user = username, second_user, first_user), conversation_id, last_id
    INTO v_caller, v_peer, v_conversation, v_last_id
    FROM live_sessions
    LEFT JOIN conversations
      ON first_user = LEAST(p_sender, p_receiver) AND second_user = GREATEST(p_sender, p_receiver)
   WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE mark_read;
  END IF;
  IF v_caller NOT IN (p_sender, p_receiver) THEN
    SELECT 'forbidden', 'sender';
    LEAVE mark_read;
  END IF;
  IF v_conversation IS NULL OR p_id > v_last_id THEN
    SELECT 'unknown_message';
    LEAVE mark_read;
  END IF;

  START TRANSACTION;
  -- Both rows are locked in the order of the primary key, as senders do.
  IF v_peer < v_caller THEN
    SELECT read_id INTO v_read FROM memberships WHERE username = v_peer AND peer = v_caller FOR UPDATE;
  END IF;
  SELECT read_id, unread INTO v_read_id, v_unread
    FROM memberships WHERE username = v_caller AND peer = v_peer FOR UPDATE;
  IF p_id <= v_read_id THEN
    ROLLBACK;
    SELECT 'ok', v_read_id, v_unread;
    LEAVE mark_read;
  END IF;
  -- Each message is counted once in its life. Up to p_id all are committed: ids follow the order of commits.
  SET v_read = 0;
  IF v_unread > 0 THEN
    SELECT COUNT(*) INTO v_read
      FROM messages
     WHERE conversation_id = v_conversation AND id > v_read_id AND id <= p_id AND sender = v_peer;
  END IF;
  SET v_read_id = p_id, v_unread = v_unread - v_read;
  UPDATE memberships
     SET read_id = v_read_id, unread = v_unread, position = NULL
   WHERE username = v_caller AND peer = v_peer;
  UPDATE memberships SET position = NULL WHERE username = v_peer AND peer = v_caller;
  COMMIT;
  SELECT 'ok', v_read_id, v_unread;
  CALL push_conversation(v_caller, v_peer);
END
