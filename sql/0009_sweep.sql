-- Deletes what has expired, ten rows of a table at a time, once there are ten; it answers nothing and never fails its
-- caller. The rows are found by a plain read and deleted one by one, in the order of their primary key: a DELETE that
-- finds its rows by itself may lock every row that it passes, and in another order than others do. A subquery in IF or
-- SET takes shared locks, so what is only looked at, here and in all procedures, is read by SELECT … INTO.
CREATE PROCEDURE IF NOT EXISTS sweep()
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  DECLARE v_now DATETIME(6) DEFAULT UTC_TIMESTAMP(6);
  DECLARE v_enough BOOLEAN DEFAULT FALSE;
  DECLARE EXIT HANDLER FOR 1205, 1213 ROLLBACK;

  SELECT TRUE INTO v_enough FROM sessions WHERE expires < v_now ORDER BY expires LIMIT 9, 1;
  IF v_enough THEN
    BEGIN
      DECLARE v_token BINARY(32);
      DECLARE expired CURSOR FOR
        SELECT token FROM (SELECT token FROM sessions WHERE expires < v_now ORDER BY expires LIMIT 10) AS expired
         ORDER BY token;
      DECLARE EXIT HANDLER FOR NOT FOUND COMMIT;
      START TRANSACTION;
      OPEN expired;
      LOOP
        FETCH expired INTO v_token;
        DELETE FROM sessions WHERE token = v_token;
      END LOOP;
    END;
  END IF;

  SET v_enough = FALSE;
  SELECT TRUE INTO v_enough FROM login_attempts WHERE expires < v_now ORDER BY expires LIMIT 9, 1;
  IF v_enough THEN
    BEGIN
      DECLARE v_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;
      DECLARE v_source VARBINARY(8);
      DECLARE expired CURSOR FOR
        SELECT username, source FROM
          (SELECT username, source FROM login_attempts WHERE expires < v_now ORDER BY expires LIMIT 10) AS expired
         ORDER BY username, source;
      DECLARE EXIT HANDLER FOR NOT FOUND COMMIT;
      START TRANSACTION;
      OPEN expired;
      LOOP
        FETCH expired INTO v_username, v_source;
        -- A row that has been renewed since stays.
        DELETE FROM login_attempts WHERE username = v_username AND source = v_source AND expires < v_now;
      END LOOP;
    END;
  END IF;

  SET v_enough = FALSE;
  SELECT TRUE INTO v_enough FROM login_sources WHERE since < v_now - INTERVAL 1 HOUR ORDER BY since LIMIT 9, 1;
  IF v_enough THEN
    BEGIN
      DECLARE v_source VARBINARY(8);
      DECLARE expired CURSOR FOR
        SELECT source FROM
          (SELECT source FROM login_sources WHERE since < v_now - INTERVAL 1 HOUR ORDER BY since LIMIT 10) AS expired
         ORDER BY source;
      DECLARE EXIT HANDLER FOR NOT FOUND COMMIT;
      START TRANSACTION;
      OPEN expired;
      LOOP
        FETCH expired INTO v_source;
        DELETE FROM login_sources WHERE source = v_source AND since < v_now - INTERVAL 1 HOUR;
      END LOOP;
    END;
  END IF;

  -- API Gateway closes every connection after two hours.
  SET v_enough = FALSE;
  SELECT TRUE INTO v_enough FROM connections WHERE created < v_now - INTERVAL 2 HOUR ORDER BY created LIMIT 9, 1;
  IF v_enough THEN
    BEGIN
      DECLARE v_connection VARBINARY(128);
      DECLARE expired CURSOR FOR
        SELECT connection_id FROM
          (SELECT connection_id FROM connections WHERE created < v_now - INTERVAL 2 HOUR ORDER BY created LIMIT 10) AS expired
         ORDER BY connection_id;
      DECLARE EXIT HANDLER FOR NOT FOUND COMMIT;
      START TRANSACTION;
      OPEN expired;
      LOOP
        FETCH expired INTO v_connection;
        DELETE FROM connections WHERE connection_id = v_connection;
      END LOOP;
    END;
  END IF;
END
