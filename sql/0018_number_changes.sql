-- Numbers up to 1,000 of the user's marked conversations and answers nothing; p_left says whether more may be marked.
-- The user's row is locked first, so two devices number one after the other. The marked ones are found by a plain read
-- and numbered by primary key in its order, which is the order in which senders lock them: an UPDATE that finds its
-- rows by itself deadlocks on the index. What a sender has changed but not committed is marked again when it commits.
CREATE PROCEDURE IF NOT EXISTS number_changes(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  OUT p_left BOOLEAN
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_marked BOOLEAN DEFAULT FALSE;
  DECLARE v_position, v_last BIGINT;
  DECLARE v_peer VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
  DECLARE marked CURSOR FOR
    SELECT peer FROM memberships FORCE INDEX (position)
     WHERE username = p_username AND position IS NULL ORDER BY peer LIMIT 1000;

  SET p_left = FALSE;
  SELECT TRUE INTO v_marked FROM memberships FORCE INDEX (position)
   WHERE username = p_username AND position IS NULL LIMIT 1;
  IF v_marked THEN
    START TRANSACTION;
    SELECT position, position INTO v_position, v_last FROM users WHERE username = p_username FOR UPDATE;
    OPEN marked;
    BEGIN
      DECLARE EXIT HANDLER FOR NOT FOUND BEGIN END;
      LOOP
        FETCH marked INTO v_peer;
        SET v_last = v_last + 1;
        UPDATE memberships SET position = v_last WHERE username = p_username AND peer = v_peer;
      END LOOP;
    END;
    CLOSE marked;
    UPDATE users SET position = v_last WHERE username = p_username;
    COMMIT;
    SET p_left = v_last - v_position = 1000;
  END IF;
END
