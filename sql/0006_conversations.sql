-- last_id is the id of the newest message; 0 if nobody has written yet. Its row lock, held until the message
-- commits, is what hands out ids in commit order and without gaps.
-- longest is the length in bytes of the longest text, from which get_messages knows whether a page can be too large.
CREATE TABLE IF NOT EXISTS conversations (
  conversation_id BIGINT      NOT NULL AUTO_INCREMENT,
  first_user      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  second_user     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  last_id         BIGINT      NOT NULL,
  last_time       DATETIME(6) NOT NULL,
  longest         INT         NOT NULL,
  PRIMARY KEY (conversation_id),
  UNIQUE KEY users (first_user, second_user)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
