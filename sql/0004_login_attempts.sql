-- What is remembered of logins by name and source, which is the 4 bytes of an IPv4 address or the first 8 of an IPv6
-- one: the failures in a row with the time of the last (NULL after a success), and the last success.
-- From the time `expires` on the row means nothing. Names are counted whether a user has them or not.
CREATE TABLE IF NOT EXISTS login_attempts (
  username     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  source       VARBINARY(8) NOT NULL,
  failures     INT          NOT NULL,
  last_failure DATETIME(6)  NULL,
  last_success DATETIME(6)  NULL,
  expires      DATETIME(6)  NOT NULL,
  PRIMARY KEY (username, source),
  KEY last_failure (username, last_failure),
  KEY expires (expires)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
