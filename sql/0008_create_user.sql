-- Answers ('ok') or ('username_taken'), also if the user who has the name is deleted.
-- The hash carries a random salt, so finding one's own hash stored means that this very call was repeated
-- after its reply was lost.
CREATE PROCEDURE IF NOT EXISTS create_user(
  p_username VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_general_ci,
  p_password VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE EXIT HANDLER FOR 1062
    SELECT IF(CAST(password AS BINARY) = CAST(p_password AS BINARY), 'ok', 'username_taken')
      FROM users WHERE username = p_username;

  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  INSERT INTO users (username, password) VALUES (p_username, p_password);
  SELECT 'ok';
END
