-- Answers the first p_limit users after p_after (NULL: from the start) as ('ok', name, whether the user has a live
-- session), no row where there are none; or ('invalid_token').
CREATE PROCEDURE IF NOT EXISTS get_users(
  p_token BINARY(32),
  p_limit INT,
  p_after VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci
)
SQL SECURITY DEFINER
READS SQL DATA
get_users: BEGIN
  DECLARE v_now DATETIME(6);

  -- No snapshot of an open transaction and no dirty read, whatever the server's defaults are.
  SET SESSION autocommit = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
  SET v_now = UTC_TIMESTAMP(6);

  IF NOT EXISTS (SELECT 1 FROM sessions WHERE token = p_token AND expires > v_now) THEN
    SELECT 'invalid_token';
    LEAVE get_users;
  END IF;

  SELECT 'ok', username, COALESCE(logged_in > v_now, FALSE)
    FROM users WHERE username > COALESCE(p_after, '') ORDER BY username LIMIT p_limit;
END
