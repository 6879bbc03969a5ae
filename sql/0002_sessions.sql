-- token is the SHA-256 of the bearer token: what is stored here can't be used to call the API. In hexadecimal it is the id
-- by which the user's sessions are told apart. device is what the client has called itself.
CREATE TABLE IF NOT EXISTS sessions (
  token    BINARY(32)  NOT NULL,
  username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  created  DATETIME(6) NOT NULL,
  expires  DATETIME(6) NOT NULL,
  device   VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NULL,
  PRIMARY KEY (token),
  KEY username (username, expires),
  KEY expires (expires)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
