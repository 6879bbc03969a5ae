-- What a live session is, said once. Unlike a procedure, a view is replaced atomically.
-- It has the rights of the procedures that read it, so it outlives the user who made it.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW live_sessions AS
SELECT token, username, created, expires, device FROM sessions WHERE expires > UTC_TIMESTAMP(6)
