-- First half of ChangePassword and DeleteUser: the hash of the caller's password, unless too many logins have failed. Answers
-- as begin_login does, or ('invalid_token'), ('forbidden', the field at fault).
CREATE PROCEDURE IF NOT EXISTS begin_reauthentication(
  p_token    BINARY(32),
  p_username VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci,
  p_source   VARBINARY(8)
)
SQL SECURITY DEFINER
READS SQL DATA
begin_reauthentication: BEGIN
  DECLARE v_caller VARCHAR(64) CHARACTER SET ascii COLLATE ascii_general_ci;

  -- No snapshot of an open transaction and no dirty read, whatever the server's defaults are.
  SET SESSION autocommit = 1;
  SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ;

  SELECT username INTO v_caller FROM live_sessions WHERE token = p_token;
  IF v_caller IS NULL THEN
    SELECT 'invalid_token';
    LEAVE begin_reauthentication;
  END IF;
  IF p_username <> v_caller THEN
    SELECT 'forbidden', 'username';
    LEAVE begin_reauthentication;
  END IF;
  CALL begin_login(v_caller, p_source);
END
