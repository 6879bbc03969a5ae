-- Notes that the user's password was right, in the transaction of the caller, who has locked the user's row; answers nothing.
CREATE PROCEDURE IF NOT EXISTS succeed_login(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source   VARBINARY(8)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);

  INSERT INTO login_attempts (username, source, failures, last_failure, last_success, expires)
  VALUES (p_username, p_source, 0, NULL, v_now, v_now + INTERVAL 90 DAY)
  ON DUPLICATE KEY UPDATE failures = 0, last_failure = NULL, last_success = v_now, expires = v_now + INTERVAL 90 DAY;
END
