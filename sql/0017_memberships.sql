-- A conversation as one of its users sees it; in notes to oneself peer is the user too.
-- unread counts the peer's messages above read_id; it changes in the transactions that change what it counts.
-- position is the number of the newest change, NULL while it has none yet: who changes a conversation only marks it, and
-- whoever asks for changes numbers what is marked. last_time is the conversation's; NULL if nobody has written yet.
CREATE TABLE IF NOT EXISTS memberships (
  username        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  peer            VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  conversation_id BIGINT      NOT NULL,
  read_id         BIGINT      NOT NULL DEFAULT 0,
  unread          BIGINT      NOT NULL DEFAULT 0,
  last_time       DATETIME(6) NULL,
  position        BIGINT      NULL DEFAULT 0,
  blocked         BOOLEAN     NOT NULL DEFAULT FALSE,
  PRIMARY KEY (username, peer),
  KEY position (username, position),
  KEY last_time (username, last_time)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
