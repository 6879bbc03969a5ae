-- Deletes those of the user's connections that are to end, and answers each as ('close', connection id): whose session is
-- no longer live, and all but the newest 32, because clients that vanish and come back leave connections behind.
-- Found by a plain read and deleted by primary key, as in sweep.
CREATE PROCEDURE IF NOT EXISTS end_connections(
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci
)
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_connection VARBINARY(128);
  DECLARE ended CURSOR FOR
    SELECT connection_id
      FROM (SELECT connection_id, token, ROW_NUMBER() OVER (ORDER BY created DESC, connection_id) AS number
              FROM connections WHERE username = p_username) AS numbered
      LEFT JOIN live_sessions USING (token)
     WHERE number > 32 OR live_sessions.token IS NULL
     ORDER BY connection_id;
  DECLARE EXIT HANDLER FOR NOT FOUND COMMIT;

  START TRANSACTION;
  OPEN ended;
  LOOP
    FETCH ended INTO v_connection;
    DELETE FROM connections WHERE connection_id = v_connection;
    SELECT 'close', v_connection;
  END LOOP;
END
