-- Answers all open connections of two users, each with their conversation as its user sees it at this moment, as ('push',
-- connection id, and the columns of get_conversations from peer on). One statement, so one snapshot, and the same that
-- get_changes would answer: of two such states one is newer than the other in all respects. Called after a commit, so a
-- connection that is not found here is one whose client finds the change when it asks for changes.
CREATE PROCEDURE IF NOT EXISTS push_conversation(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_peer     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci
)
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  SELECT 'push', o.connection_id,
         m.peer, m.unread, m.read_id, p.read_id, m.blocked,
         l.id, l.sender, l.receiver, CAST(l.message AS BINARY), DATE_FORMAT(l.time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
    FROM connections AS o
    JOIN live_sessions AS s ON s.token = o.token
    JOIN memberships AS m ON m.username = o.username AND m.peer = IF(o.username = p_username, p_peer, p_username)
    JOIN memberships AS p ON p.username = m.peer AND p.peer = m.username
    JOIN conversations AS c ON c.conversation_id = m.conversation_id
    JOIN messages AS l ON l.conversation_id = c.conversation_id AND l.id = c.last_id
   WHERE o.username IN (p_username, p_peer);
END
