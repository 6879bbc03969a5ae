-- Creates the conversation of two users, of whom p_first comes first in the order of the names, with both memberships,
-- unless it is there; p_conversation is its id. Called without a transaction, it has one of its own: created in the message's
-- and rolled back with a duplicate, the row would hand its index gap to all who wait for it, and they would deadlock. The
-- memberships are created in the same one: if they came later, another sender could slip in between and find none to count
-- the message in.
CREATE PROCEDURE IF NOT EXISTS create_conversation(
  p_first  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_second VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  OUT p_conversation BIGINT
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  START TRANSACTION;
  INSERT INTO conversations (first_user, second_user, last_id, last_time, longest)
  VALUES (p_first, p_second, 0, UTC_TIMESTAMP(6), 0)
  ON DUPLICATE KEY UPDATE last_id = last_id;
  SELECT conversation_id INTO p_conversation
    FROM conversations WHERE first_user = p_first AND second_user = p_second;
  INSERT INTO memberships (username, peer, conversation_id) VALUES (p_first, p_second, p_conversation)
  ON DUPLICATE KEY UPDATE conversation_id = VALUES(conversation_id);
  INSERT INTO memberships (username, peer, conversation_id) VALUES (p_second, p_first, p_conversation)
  ON DUPLICATE KEY UPDATE conversation_id = VALUES(conversation_id);
  COMMIT;
END
