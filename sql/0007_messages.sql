-- Clustered by conversation: a page of history is one short range of the primary key. The idempotency key
-- lives and commits with its message, so a send can be repeated at any later time, on any node.
CREATE TABLE IF NOT EXISTS messages (
  conversation_id BIGINT      NOT NULL,
  id              BIGINT      NOT NULL,
  sender          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  receiver        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  message         TEXT        CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  time_stamp      DATETIME(6) NOT NULL,
  idempotency_key BINARY(16)  NOT NULL,
  PRIMARY KEY (conversation_id, id),
  UNIQUE KEY idempotency_key (sender, idempotency_key)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
