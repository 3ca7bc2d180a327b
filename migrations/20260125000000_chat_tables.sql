-- The two tables of the chat server that guildhook reads. In the chat server's own database they
-- exist already and stay as they are; in a database of its own guildhook keeps this much of them.
CREATE TABLE IF NOT EXISTS guilds (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid()
);

CREATE TABLE IF NOT EXISTS channels (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    guild_id UUID REFERENCES guilds(id) ON DELETE CASCADE
);
