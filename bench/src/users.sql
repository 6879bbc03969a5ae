-- Users with sessions, as in history.sql.
INSERT INTO users (username, password)
WITH RECURSIVE numbers AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 899)
SELECT CONCAT('user', LPAD(n, 7, '0')), 'nobody logs in by this' FROM numbers;
INSERT INTO sessions (token, username, created, expires)
SELECT UNHEX(SHA2(FROM_BASE64(CONCAT(RPAD(username, 42, '+'), 'A=')), 256)), username,
       UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 30 DAY
  FROM users
