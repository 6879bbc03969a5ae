-- Forgets a connection that a push has found gone. Answers ('ok'). One that is younger than 30 s stays: a push can find it
-- before it is open. Its next push finds out.
CREATE PROCEDURE IF NOT EXISTS disconnect(p_connection VARBINARY(128))
SQL SECURITY DEFINER
MODIFIES SQL DATA
BEGIN
  ROLLBACK AND NO CHAIN NO RELEASE;
  SET SESSION autocommit = 1, completion_type = 0, innodb_lock_wait_timeout = 1
    /*M!100618 , innodb_snapshot_isolation = OFF */;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  DELETE FROM connections WHERE connection_id = p_connection AND created < UTC_TIMESTAMP(6) - INTERVAL 30 SECOND;
  SELECT 'ok';
END
