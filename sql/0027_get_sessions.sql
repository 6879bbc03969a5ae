-- Answers the caller's live sessions, the newest first and 1,000 at the most, as ('ok', the caller's name, id, device, created,
-- expires, whether it is the one that asks), or ('invalid_token').
CREATE PROCEDURE IF NOT EXISTS get_sessions(p_token BINARY(32))
SQL SECURITY DEFINER
READS SQL DATA
BEGIN
  -- No snapshot of an open transaction and no dirty read, whatever the server's defaults are.
  SET SESSION autocommit = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  -- One statement, so one snapshot: a session that is found is among those that are answered.
  SELECT IF(s.token IS NULL, 'invalid_token', 'ok'), s.username, LOWER(HEX(s.token)), CAST(s.device AS BINARY),
         DATE_FORMAT(s.created, '%Y-%m-%dT%H:%i:%s.%fZ'), DATE_FORMAT(s.expires, '%Y-%m-%dT%H:%i:%s.%fZ'),
         s.token = p_token
    FROM (SELECT 1) AS one
    LEFT JOIN live_sessions AS own ON own.token = p_token
    LEFT JOIN live_sessions AS s ON s.username = own.username
   ORDER BY s.created DESC, s.token LIMIT 1000;
END
