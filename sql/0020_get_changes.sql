-- Answers up to p_limit of the caller's conversations that have changed after p_after, in the order of their positions, as
-- ('ok', the caller's position, whether marked ones are left, the row's position, and the columns of get_conversations
-- from peer on), or ('empty', position, whether marked ones are left), ('invalid_token'), ('unknown_position').
CREATE PROCEDURE IF NOT EXISTS get_changes(p_token BINARY(32), p_after BIGINT, p_limit BIGINT)
SQL SECURITY DEFINER
MODIFIES SQL DATA
get_changes: BEGIN
  DECLARE v_caller VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_position BIGINT;
  DECLARE v_left BOOLEAN;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  -- As in send_message.
  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE get_changes;
  END IF;

  CALL number_changes(v_caller, v_left);
  SELECT position INTO v_position FROM users WHERE username = v_caller;
  IF p_after > v_position THEN
    SELECT 'unknown_position';
    LEAVE get_changes;
  END IF;
  -- One statement, so one snapshot: what changes after the page has a number above its position.
  -- Without FORCE INDEX, a server may read and sort the whole inbox.
  SELECT IF(m.peer IS NULL, 'empty', 'ok'), u.position, v_left, m.position,
         m.peer, m.unread, m.read_id, p.read_id, m.blocked,
         l.id, l.sender, l.receiver, CAST(l.message AS BINARY), DATE_FORMAT(l.time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
    FROM users AS u
    LEFT JOIN (SELECT username, peer, conversation_id, read_id, unread, position, blocked
                 FROM memberships FORCE INDEX (position)
                WHERE username = v_caller AND position > p_after
                ORDER BY position LIMIT p_limit) AS m ON TRUE
    LEFT JOIN conversations AS c ON c.conversation_id = m.conversation_id
    LEFT JOIN messages AS l ON l.conversation_id = c.conversation_id AND l.id = c.last_id
    LEFT JOIN memberships AS p ON p.username = m.peer AND p.peer = m.username
   WHERE u.username = v_caller
   ORDER BY m.position;
END
