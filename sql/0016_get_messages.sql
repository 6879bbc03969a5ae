-- Answers a page of the conversation of the two users, ascending by id, as ('ok', id of the newest message, id,
-- sender, receiver, message, time stamp): the p_limit messages just before p_before, or just after p_after, or with
-- both NULL the newest. The page ends early with the message whose text brings it to p_bytes. An empty page is
-- ('empty'); a refusal is ('invalid_token') or ('forbidden', the field at fault).
-- Ids are dense, so a page is arithmetic and one range of the primary key.
CREATE PROCEDURE IF NOT EXISTS get_messages(
  p_token    BINARY(32),
  p_sender   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_receiver VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_limit    BIGINT,
  p_bytes    BIGINT,
  p_before   BIGINT,
  p_after    BIGINT
)
SQL SECURITY DEFINER
READS SQL DATA
get_messages: BEGIN
  DECLARE v_caller VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_conversation, v_last, v_longest, v_from, v_to BIGINT;

  -- No snapshot of an open transaction and no dirty read, whatever the server's defaults are.
  SET SESSION autocommit = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  -- The newest id is read before the page, so every message up to it has been committed.
  SELECT username, conversation_id, last_id, longest INTO v_caller, v_conversation, v_last, v_longest
    FROM live_sessions
    LEFT JOIN conversations
      ON first_user = LEAST(p_sender, p_receiver) AND second_user = GREATEST(p_sender, p_receiver)
   WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE get_messages;
  END IF;
  IF v_caller NOT IN (p_sender, p_receiver) THEN
    SELECT 'forbidden', 'sender';
    LEAVE get_messages;
  END IF;

  IF p_after IS NULL THEN
    SET v_to = LEAST(v_last, COALESCE(p_before - 1, v_last)), v_from = GREATEST(1, v_to - p_limit + 1);
  ELSE
    SET v_from = p_after + 1, v_to = LEAST(v_last, p_after + p_limit);
  END IF;
  IF v_conversation IS NULL OR v_from > v_to THEN
    SELECT 'empty';
    LEAVE get_messages;
  END IF;

  IF (v_to - v_from + 1) * v_longest > p_bytes THEN
    -- The texts may be too long for one page: their lengths tell where it ends.
    IF p_after IS NULL THEN
      SELECT COALESCE(MAX(id), v_from) INTO v_from
        FROM (SELECT id, SUM(LENGTH(message)) OVER (ORDER BY id DESC) AS bytes
                FROM messages WHERE conversation_id = v_conversation AND id BETWEEN v_from AND v_to) AS lengths
       WHERE bytes >= p_bytes;
    ELSE
      SELECT COALESCE(MIN(id), v_to) INTO v_to
        FROM (SELECT id, SUM(LENGTH(message)) OVER (ORDER BY id) AS bytes
                FROM messages WHERE conversation_id = v_conversation AND id BETWEEN v_from AND v_to) AS lengths
       WHERE bytes >= p_bytes;
    END IF;
  END IF;

  SELECT 'ok', v_last, id, sender, receiver, CAST(message AS BINARY), DATE_FORMAT(time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
    FROM messages
   WHERE conversation_id = v_conversation AND id BETWEEN v_from AND v_to
   ORDER BY id;
END
