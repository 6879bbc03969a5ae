-- Second half of Login, once the password is known to be right: opens a session for 30 days and forgets
-- the failed attempts. Answers ('ok', name as created, expiry).
CREATE PROCEDURE IF NOT EXISTS login(
  p_token    BINARY(32),
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source   VARBINARY(8)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_now, v_expires DATETIME(6);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
  SET v_now = UTC_TIMESTAMP(6), v_expires = v_now + INTERVAL 30 DAY;

  BEGIN
    -- As in begin_login.
    DECLARE CONTINUE HANDLER FOR 1205, 1213 BEGIN END;
    IF (SELECT 1 FROM sessions WHERE expires < v_now LIMIT 9, 1) THEN
      DELETE FROM sessions WHERE expires < v_now ORDER BY expires LIMIT 10;
    END IF;
  END;

  START TRANSACTION;
  -- The user's row is locked first, here and in logout: whoever holds it may change the user's sessions.
  SELECT username INTO v_username FROM users WHERE username = p_username FOR UPDATE;
  -- The token is there already when this call is repeated after its reply was lost.
  INSERT INTO sessions (token, username, created, expires) VALUES (p_token, v_username, v_now, v_expires)
  ON DUPLICATE KEY UPDATE expires = v_expires;
  UPDATE users SET logged_in = GREATEST(COALESCE(logged_in, v_expires), v_expires) WHERE username = v_username;
  -- Not deleted: rows that go leave their gap to all who wait for them, and they would deadlock.
  UPDATE login_attempts SET failures = 0 WHERE username = p_username AND source IN ('', p_source);
  COMMIT;

  SELECT 'ok', v_username, DATE_FORMAT(v_expires, '%Y-%m-%dT%H:%i:%s.%fZ');
END
