-- Deletes the user's sessions but p_kept (NULL: all), in the transaction of the caller, who has locked the user's row; answers
-- nothing. Read plainly and deleted by the primary key, as in sweep: DELETE … WHERE username = … scans a small table, and so
-- locks everybody's sessions.
CREATE PROCEDURE IF NOT EXISTS end_sessions(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_kept     BINARY(32)
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_token BINARY(32);
  DECLARE ended CURSOR FOR
    SELECT token FROM sessions WHERE username = p_username AND NOT token <=> p_kept ORDER BY token;
  DECLARE EXIT HANDLER FOR NOT FOUND BEGIN END;

  OPEN ended;
  LOOP
    FETCH ended INTO v_token;
    DELETE FROM sessions WHERE token = v_token;
  END LOOP;
END
