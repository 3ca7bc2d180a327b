// The requests of this page and their answers; local/guildhook_local/chat_page.py is the server's side.

export type Channel = { id: string; name: string };
export type Member = { id: string; name: string; about: string };
export type Guild = { id: string; name: string; channels: Channel[]; members: Member[] };
export type Guilds = { guilds: Guild[]; admin_url: string };
export type Message = {
  id: string;
  channel_id: string;
  author: { id: string; name: string; bot: boolean };
  content: string;
  created_at: string;
};

export async function listGuilds(): Promise<Guilds> {
  return await ask('/chat/guilds');
}

export async function listMessages(channelId: string): Promise<Message[]> {
  const answer = await ask<{ messages: Message[] }>(`/chat/channels/${channelId}/messages`);
  return answer.messages;
}

export async function say(channelId: string, userId: string, content: string): Promise<Message> {
  return await ask(`/chat/channels/${channelId}/messages`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ user_id: userId, content }),
  });
}

/** Listens for messages. `onConnected` is called when the connection opens or is lost. Returns a function that stops. */
export function listen(onMessage: (message: Message) => void, onConnected: (connected: boolean) => void): () => void {
  const events = new EventSource('/chat/events');
  events.onmessage = (event) => onMessage(JSON.parse(event.data));
  events.onopen = () => onConnected(true);
  // The browser connects again by itself.
  events.onerror = () => onConnected(false);
  return () => events.close();
}

async function ask<Answer>(path: string, options?: RequestInit): Promise<Answer> {
  const response = await fetch(path, options);
  if (!response.ok) {
    const error = await response.json().catch(() => null);
    throw new Error(error?.message ?? `The chat server answered ${response.status}.`);
  }
  return await response.json();
}
