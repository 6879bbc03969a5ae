-- Answers the caller's conversations, that with the newest message first: the first p_limit after the one whose newest
-- message is of p_time (microseconds since 1970) and whose peer is p_peer, or with both NULL from the start. Rows are
-- ('ok', the caller's position, the row's p_time, peer, unread, read_id, the peer's read_id, blocked, and of the newest
-- message id, sender, receiver, message, time stamp). An empty page is ('empty', position); a refusal is ('invalid_token').
CREATE PROCEDURE IF NOT EXISTS get_conversations(
  p_token BINARY(32),
  p_limit BIGINT,
  p_time  BIGINT,
  p_peer  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
get_conversations: BEGIN
  DECLARE v_caller VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_time DATETIME(6) DEFAULT COALESCE(TIMESTAMP('1970-01-01') + INTERVAL p_time MICROSECOND, '9999-12-31');
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
    LEAVE get_conversations;
  END IF;

  CALL number_changes(v_caller, v_left);
  -- One statement, so one snapshot: what changes after the page has a number above its position.
  -- Without FORCE INDEX, MariaDB 11.8 reads and sorts the whole inbox.
  SELECT IF(m.peer IS NULL, 'empty', 'ok'), u.position,
         TIMESTAMPDIFF(MICROSECOND, TIMESTAMP('1970-01-01'), m.last_time),
         m.peer, m.unread, m.read_id, p.read_id, m.blocked,
         l.id, l.sender, l.receiver, CAST(l.message AS BINARY), DATE_FORMAT(l.time_stamp, '%Y-%m-%dT%H:%i:%s.%fZ')
    FROM users AS u
    LEFT JOIN (SELECT username, peer, conversation_id, read_id, unread, last_time, blocked
                 FROM memberships FORCE INDEX (last_time)
                WHERE username = v_caller AND last_time <= v_time AND (last_time < v_time OR peer < COALESCE(p_peer, ''))
                ORDER BY last_time DESC, peer DESC LIMIT p_limit) AS m ON TRUE
    LEFT JOIN conversations AS c ON c.conversation_id = m.conversation_id
    LEFT JOIN messages AS l ON l.conversation_id = c.conversation_id AND l.id = c.last_id
    LEFT JOIN memberships AS p ON p.username = m.peer AND p.peer = m.username
   WHERE u.username = v_caller
   ORDER BY m.last_time DESC, m.peer DESC;
END
