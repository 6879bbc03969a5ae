-- First half of Login: counts the attempt as a failure before the password is checked, so that tries made
-- at the same moment can't slip past the limit. `login` takes the count back.
-- Answers ('ok', password hash, NULL where there is no such user) or ('too_many_attempts', seconds to wait).
CREATE PROCEDURE IF NOT EXISTS begin_login(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source   VARBINARY(8)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
begin_login: BEGIN
  DECLARE v_now DATETIME(6);
  DECLARE v_wait BIGINT;
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
  SET v_now = UTC_TIMESTAMP(6);

  BEGIN
    -- Housekeeping never fails a login, and most need no commit for it: it waits until there are ten.
    DECLARE CONTINUE HANDLER FOR 1205, 1213 BEGIN END;
    IF (SELECT 1 FROM login_attempts WHERE last_failure < v_now - INTERVAL 24 HOUR LIMIT 9, 1) THEN
      DELETE FROM login_attempts WHERE last_failure < v_now - INTERVAL 24 HOUR ORDER BY last_failure LIMIT 10;
    END IF;
  END;

  START TRANSACTION;
  -- Both rows are there and locked before any is judged.
  INSERT INTO login_attempts (username, source, failures, last_failure)
  VALUES (p_username, '', 0, v_now), (p_username, p_source, 0, v_now)
  ON DUPLICATE KEY UPDATE failures = failures;
  SET v_now = UTC_TIMESTAMP(6);
  -- 30 s after the last failure that reached the limit (10 from one source, 100 from all), then doubling
  -- up to 15 minutes; rounded up to seconds.
  SELECT (MAX(TIMESTAMPDIFF(MICROSECOND, v_now, last_failure
           + INTERVAL LEAST(900, 30 << LEAST(failures - IF(source = '', 100, 10), 5)) SECOND)) + 999999) DIV 1000000
    INTO v_wait
    FROM login_attempts
   WHERE username = p_username AND source IN ('', p_source)
     AND failures >= IF(source = '', 100, 10)
     AND last_failure >= v_now - INTERVAL 24 HOUR
     FOR UPDATE;
  IF v_wait > 0 THEN
    -- Only the row of p_source can be new, and nobody waits for that: those of the same name wait for the other.
    ROLLBACK;
    SELECT 'too_many_attempts', v_wait;
    LEAVE begin_login;
  END IF;
  UPDATE login_attempts
     SET failures = IF(last_failure >= v_now - INTERVAL 24 HOUR, failures, 0) + 1,
         last_failure = v_now
   WHERE username = p_username AND source IN ('', p_source);
  COMMIT;

  SELECT 'ok', MAX(password) FROM users WHERE username = p_username;
END
