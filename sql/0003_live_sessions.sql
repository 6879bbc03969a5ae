-- What a live session is, said once. Unlike a procedure, a view is replaced atomically.
-- With the rights of the procedures that read it, it outlives the user who made it.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW live_sessions AS
SELECT token, username, expires FROM sessions WHERE expires > UTC_TIMESTAMP(6)
