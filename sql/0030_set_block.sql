-- Has the caller block p_peer, or no longer. Answers ('ok', peer as created), or ('invalid_token'), ('forbidden', the field at
-- fault), ('unknown_user'). The conversation need not have a message.
CREATE PROCEDURE IF NOT EXISTS set_block(
  p_token    BINARY(32),
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_peer     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_blocked  BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
set_block: BEGIN
  DECLARE v_caller, v_peer VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_conversation BIGINT;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  -- As in send_message.
  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE set_block;
  END IF;
  IF p_username <> v_caller THEN
    SELECT 'forbidden', 'username';
    LEAVE set_block;
  END IF;
  SELECT username INTO v_peer FROM users WHERE username = p_peer AND deleted IS NULL;
  IF v_peer IS NULL THEN
    SELECT 'unknown_user';
    LEAVE set_block;
  END IF;

  SELECT conversation_id INTO v_conversation FROM memberships WHERE username = v_caller AND peer = v_peer;
  IF p_blocked AND v_conversation IS NULL THEN
    CALL create_conversation(LEAST(v_caller, v_peer), GREATEST(v_caller, v_peer), v_conversation);
  END IF;
  -- Whoever sends between the two holds this row until the message is committed, and then looks at it. A conversation
  -- without a message is in no answer, so nothing has changed in it.
  UPDATE memberships
     SET blocked = p_blocked, position = IF(last_time IS NULL, position, NULL)
   WHERE username = v_caller AND peer = v_peer AND blocked <> p_blocked;
  SELECT 'ok', v_peer;
END
