-- First half of Login: the password's hash, unless too many logins have failed.
-- Answers ('ok', password hash, NULL if there is no such user) or ('too_many_attempts', whole seconds to wait).
-- Counts nothing: a failure is counted by fail_login, once it has happened. A failure in the future means that the
-- clock was set back; it is not waited for, and the next failure puts its time right.
CREATE PROCEDURE IF NOT EXISTS begin_login(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source   VARBINARY(8)
)
SQL SECURITY DEFINER
READS SQL DATA
begin_login: BEGIN
  DECLARE v_now, v_until DATETIME(6);
  DECLARE v_known BOOLEAN DEFAULT FALSE;

  -- No snapshot of an open transaction and no dirty read, whatever the server's defaults are.
  SET SESSION autocommit = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
  SET v_now = UTC_TIMESTAMP(6);

  -- A source that failed 100 times within an hour waits until the hour is over.
  SELECT since + INTERVAL 1 HOUR INTO v_until
    FROM login_sources
   WHERE source = p_source AND failures >= 100 AND since BETWEEN v_now - INTERVAL 1 HOUR AND v_now;

  -- Nobody can lock users out of the places from which they have logged in.
  SELECT TRUE INTO v_known
    FROM login_attempts
   WHERE username = p_username AND source = p_source AND last_success > v_now - INTERVAL 90 DAY;

  -- After 10 failures in a row from one source, or 100 from all (each source counted for 10 at most), the wait since
  -- the last one is 30 s. It doubles with each further failure, up to 15 minutes. 105 rows are enough, as each counts
  -- 1 or more.
  SELECT GREATEST(COALESCE(v_until, v_now), COALESCE(MAX(
           last_failure + INTERVAL LEAST(900, 30 << LEAST(excess, 5)) SECOND), v_now))
    INTO v_until
    FROM (SELECT failures - 10 AS excess, last_failure
            FROM login_attempts WHERE username = p_username AND source = p_source
           UNION ALL
          SELECT SUM(LEAST(failures, 10)) - 100, MAX(last_failure)
            FROM (SELECT failures, last_failure FROM login_attempts
                   WHERE username = p_username AND last_failure BETWEEN v_now - INTERVAL 24 HOUR AND v_now
                   ORDER BY last_failure DESC LIMIT 105) AS latest
           WHERE NOT v_known) AS counts
   WHERE excess >= 0 AND last_failure BETWEEN v_now - INTERVAL 24 HOUR AND v_now;
  IF v_until > v_now THEN
    SELECT 'too_many_attempts', (TIMESTAMPDIFF(MICROSECOND, v_now, v_until) + 999999) DIV 1000000;
    LEAVE begin_login;
  END IF;

  SELECT 'ok', MAX(password) FROM users WHERE username = p_username;
END
