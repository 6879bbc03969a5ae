-- Answers all open connections of two users, each with the conversation as its user sees it, as ('push', connection id, and
-- the columns of get_conversations from peer on). The caller has read the state in its transaction and has committed it:
-- read here, it might already be another, and what is pushed would not be a state that ever was.
CREATE PROCEDURE IF NOT EXISTS push_conversation(
  p_username     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_peer         VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_conversation BIGINT,
  p_last_id      BIGINT,
  p_unread       BIGINT,
  p_read_id      BIGINT,
  p_blocked      BOOLEAN,
  p_peer_unread  BIGINT,
  p_peer_read_id BIGINT,
  p_peer_blocked BOOLEAN
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT 'push', o.connection_id,
         v.peer, v.unread, v.read_id, v.peer_read_id, v.blocked,
         l.id, l.sender, l.receiver, CAST(l.message AS BINARY), DATE_FORMAT(l.time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
    FROM (SELECT p_username AS username, p_peer AS peer, p_unread AS unread, p_read_id AS read_id,
                 p_peer_read_id AS peer_read_id, p_blocked AS blocked
           UNION
          SELECT p_peer, p_username, p_peer_unread, p_peer_read_id, p_read_id, p_peer_blocked) AS v
    JOIN connections AS o ON o.username = v.username
    JOIN live_sessions AS s ON s.token = o.token
    JOIN messages AS l ON l.conversation_id = p_conversation AND l.id = p_last_id;
END
