-- logged_in is the time until which the user has a live session, so nothing has to run when one ends.
-- A deleted user keeps the row, so that the name is never free again, but not the password.
-- position is the number of the user's newest change, as number_changes counts them.
-- connected is the time until which a WebSocket of the user may be open; NULL if none ever was.
-- The shorter limits and the ascii collation are the rules of `Username` in shared/src/user.rs.
CREATE TABLE IF NOT EXISTS users (
  username  VARCHAR(64)  CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  password  VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NULL,
  logged_in DATETIME(6)  NULL,
  deleted   DATETIME(6)  NULL,
  position  BIGINT       NOT NULL DEFAULT 0,
  connected DATETIME(6)  NULL,
  PRIMARY KEY (username)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
