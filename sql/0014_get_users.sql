-- Answers the first p_limit users after p_after (NULL: from the start) as ('ok', name, whether the user has a live
-- session), or ('empty'), or ('invalid_token').
CREATE PROCEDURE IF NOT EXISTS get_users(
  p_token BINARY(32),
  p_limit INT,
  p_after VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci
)
SQL SECURITY DEFINER
READS SQL DATA
get_users: BEGIN
  DECLARE v_caller, v_next VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;

  -- No snapshot of an open transaction and no dirty read, whatever the server's defaults are.
  SET SESSION autocommit = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE get_users;
  END IF;
  -- Without p_after the page has at least the caller.
  IF p_after IS NOT NULL THEN
    SELECT username INTO v_next
      FROM users WHERE username > p_after AND deleted IS NULL ORDER BY username LIMIT 1;
    IF v_next IS NULL THEN
      SELECT 'empty';
      LEAVE get_users;
    END IF;
  END IF;

  SELECT 'ok', username, COALESCE(logged_in > UTC_TIMESTAMP(6), FALSE)
    FROM users
   WHERE username > COALESCE(p_after, '') AND deleted IS NULL
   ORDER BY username LIMIT p_limit;
END
