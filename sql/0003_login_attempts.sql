-- Failed logins in a row, 0 after a success: one row for each name and source (the 4 bytes of an IPv4 address
-- or the first 8 of an IPv6 one), and one with an empty source that counts the name's failures from everywhere.
-- Names are counted whether a user has them or not.
CREATE TABLE IF NOT EXISTS login_attempts (
  username     VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  source       VARBINARY(8)  NOT NULL,
  failures     INT          NOT NULL,
  last_failure DATETIME(6)  NOT NULL,
  PRIMARY KEY (username, source),
  KEY last_failure (last_failure)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
