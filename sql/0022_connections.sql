-- The open WebSocket connections, each with its session: what ends a session ends its connections. Nobody tells when a
-- connection breaks, so a row can outlive it: until a push finds that it has gone, or until its two hours are over.
CREATE TABLE IF NOT EXISTS connections (
  connection_id VARBINARY(128) NOT NULL,
  username      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  token         BINARY(32)  NOT NULL,
  created       DATETIME(6) NOT NULL,
  PRIMARY KEY (connection_id),
  KEY username (username, created),
  KEY created (created)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
