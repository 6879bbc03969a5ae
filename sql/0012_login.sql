-- Second half of Login, once the password is known to match the hash p_password: opens a session for 30 days.
-- Answers ('ok', name as created, expiry), or ('invalid_credentials') if that is no longer the user's hash.
CREATE PROCEDURE IF NOT EXISTS login(
  p_token    BINARY(32),
  p_username VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_general_ci,
  p_password VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source   VARBINARY(8),
  p_device   VARCHAR(64)  CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
login: BEGIN
  DECLARE v_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE v_now, v_expires DATETIME(6);
  DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  START TRANSACTION;
  -- The user's row is locked first, by all who do so: whoever holds it may change the user's sessions.
  SELECT username INTO v_username
    FROM users
   WHERE username = p_username AND CAST(password AS BINARY) = CAST(p_password AS BINARY)
     FOR UPDATE;
  IF v_username IS NULL THEN
    ROLLBACK;
    SELECT 'invalid_credentials';
    LEAVE login;
  END IF;

  SET v_now = UTC_TIMESTAMP(6), v_expires = v_now + INTERVAL 30 DAY;
  -- The token is there already if this call is repeated after its reply was lost.
  INSERT INTO sessions (token, username, created, expires, device)
  VALUES (p_token, v_username, v_now, v_expires, p_device)
  ON DUPLICATE KEY UPDATE expires = v_expires;
  UPDATE users SET logged_in = GREATEST(COALESCE(logged_in, v_expires), v_expires) WHERE username = v_username;
  CALL succeed_login(v_username, p_source);
  COMMIT;

  CALL sweep();
  SELECT 'ok', v_username, DATE_FORMAT(v_expires, '%Y-%m-%dT%H:%i:%s.%fZ');
END
