-- How much of the API somebody has used in the last minute with a request.
CREATE TABLE admin_requests (
    actor_id TEXT PRIMARY KEY,
    minute TIMESTAMPTZ NOT NULL,
    cost BIGINT NOT NULL
);
