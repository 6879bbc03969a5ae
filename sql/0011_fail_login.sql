-- Counts a login whose password was wrong, whether there is such a user or not. Answers ('ok').
CREATE PROCEDURE IF NOT EXISTS fail_login(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source   VARBINARY(8)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;
  SET v_now = UTC_TIMESTAMP(6);

  START TRANSACTION;
  INSERT INTO login_attempts (username, source, failures, last_failure, last_success, expires)
  VALUES (p_username, p_source, 1, v_now, NULL, v_now + INTERVAL 24 HOUR)
  ON DUPLICATE KEY UPDATE
    failures = IF(last_failure > v_now - INTERVAL 24 HOUR, failures, 0) + 1,
    last_failure = v_now,
    expires = GREATEST(expires, v_now + INTERVAL 24 HOUR);
  -- Of two failures at the same moment the later one may get here first, so `since` may be a little ahead. Only if it
  -- is well ahead was the clock set back.
  INSERT INTO login_sources (source, failures, since)
  VALUES (p_source, 1, v_now)
  ON DUPLICATE KEY UPDATE
    failures = IF(since BETWEEN v_now - INTERVAL 1 HOUR AND v_now + INTERVAL 1 MINUTE, failures, 0) + 1,
    since = IF(since BETWEEN v_now - INTERVAL 1 HOUR AND v_now + INTERVAL 1 MINUTE, since, v_now);
  COMMIT;

  CALL sweep();
  SELECT 'ok';
END
