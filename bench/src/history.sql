-- Each statement is run once; names with a $ are replaced.
CREATE TABLE digits (d INT NOT NULL PRIMARY KEY);
INSERT INTO digits VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9);
CREATE TABLE numbers (n BIGINT NOT NULL PRIMARY KEY);
INSERT INTO numbers
SELECT * FROM (SELECT a.d + 10 * (b.d + 10 * (c.d + 10 * (e.d + 10 * (f.d + 10 * (g.d + 10 * h.d))))) AS n
                 FROM digits a, digits b, digits c, digits e, digits f, digits g, digits h) AS products
 WHERE n < $rows;

INSERT INTO conversations (conversation_id, first_user, second_user, last_id, last_time, longest)
SELECT n + 1, CONCAT('user', LPAD(2 * n, 7, '0')), CONCAT('user', LPAD(2 * n + 1, 7, '0')),
       ELT(1 + n % 10, 1, 2, 3, 4, 8, 12, 30, 60, 80, 200), '2026-01-01', 240
  FROM numbers WHERE n < $crowd;
INSERT INTO conversations (conversation_id, first_user, second_user, last_id, last_time, longest) VALUES $probes;

-- A user for each size of inbox, with so many conversations of one message.
INSERT INTO conversations (conversation_id, first_user, second_user, last_id, last_time, longest)
SELECT 100000000 + 10 * size + n, CONCAT('inbox', LPAD(size, 7, '0')), CONCAT('other', LPAD(n, 7, '0')),
       1, '2026-01-01' + INTERVAL n SECOND, 240
  FROM numbers JOIN (SELECT 0 AS size UNION $inboxes) AS sizes ON n < size;

-- Everything has been read, but by the reader.
INSERT INTO memberships (username, peer, conversation_id, read_id, last_time)
SELECT first_user, second_user, conversation_id, last_id, last_time FROM conversations
 UNION ALL SELECT second_user, first_user, conversation_id, last_id, last_time FROM conversations;
UPDATE memberships JOIN conversations USING (conversation_id)
   SET read_id = 0, unread = (last_id + 1) DIV 2
 WHERE username = 'reader';
-- The conversations of an inbox have changed one after the other.
UPDATE memberships
  JOIN (SELECT conversation_id, ROW_NUMBER() OVER (PARTITION BY first_user ORDER BY conversation_id) AS number
          FROM conversations WHERE first_user LIKE 'inbox%') AS numbered USING (conversation_id)
   SET position = number
 WHERE username LIKE 'inbox%';

INSERT INTO users (username, password, logged_in)
SELECT name, 'nobody logs in by this', UTC_TIMESTAMP(6) + INTERVAL 30 DAY
  FROM (SELECT CONCAT('user', LPAD(n, 7, '0')) AS name FROM numbers WHERE n < $users
         UNION SELECT first_user FROM conversations WHERE second_user = 'reader'
         UNION SELECT first_user FROM conversations WHERE first_user LIKE 'inbox%'
         UNION SELECT 'reader') AS names;
UPDATE users JOIN (SELECT username, MAX(position) AS newest FROM memberships GROUP BY username) AS latest
 USING (username)
   SET users.position = newest;
-- The hash of a token that is the name, filled up.
INSERT INTO sessions (token, username, created, expires)
SELECT UNHEX(SHA2(FROM_BASE64(CONCAT(RPAD(name, 42, '+'), 'A=')), 256)), username,
       UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) + INTERVAL 30 DAY
  FROM (SELECT username AS name, username FROM users
         UNION ALL SELECT CONCAT('session', n), 'user0000000' FROM numbers WHERE n < $sessions) AS names;

CREATE TABLE usual_messages (
  id              BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
  first_user      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  second_user     VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  sender          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  receiver        VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  message         TEXT        CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL,
  time_stamp      DATETIME(6) NOT NULL,
  idempotency_key BINARY(16)  NOT NULL,
  KEY pair (first_user, second_user),
  UNIQUE KEY idempotency_key (sender, idempotency_key)
) ENGINE = InnoDB;
-- In the order of their times, which are random; their texts have 4 to 153 characters.
INSERT INTO usual_messages (first_user, second_user, sender, receiver, message, time_stamp, idempotency_key)
SELECT first_user, second_user, IF(n % 2 = 0, first_user, second_user), IF(n % 2 = 0, second_user, first_user),
       SUBSTRING(REPEAT('the photo of a meeting tomorrow, and lunch: really naïve 😀 thanks for that. ', 4),
                 1 + FLOOR(75 * RAND(1)), 4 + FLOOR(150 * RAND(2))),
       '2025-01-01' + INTERVAL FLOOR(31536000000000 * RAND(3)) MICROSECOND AS at,
       UNHEX(MD5(CONCAT(conversation_id, '-', n)))
  FROM conversations STRAIGHT_JOIN numbers FORCE INDEX (PRIMARY) ON n < last_id
 ORDER BY at;
-- The same messages, in the same order of time, with ids of their conversations.
INSERT INTO messages (conversation_id, id, sender, receiver, message, time_stamp, idempotency_key)
SELECT conversation_id, ROW_NUMBER() OVER (PARTITION BY conversation_id ORDER BY id) AS number,
       sender, receiver, message, time_stamp, idempotency_key
  FROM usual_messages JOIN conversations USING (first_user, second_user)
 ORDER BY id;
DROP TABLE numbers, digits;
ANALYZE TABLE users, sessions, conversations, memberships, messages, usual_messages
