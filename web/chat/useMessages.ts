import { useCallback, useEffect, useState } from 'react';
import { listen, listMessages, type Message } from './server';

const MOST_MESSAGES = 500;

/** What is said in a channel, kept up to date; `add` puts one in that the server has taken already. */
export function useMessages(channelId: string | undefined) {
  const [all, setAll] = useState<Message[]>([]);
  const [connection, setConnection] = useState<'opening' | 'open' | 'lost'>('opening');

  const add = useCallback((...more: Message[]) => setAll((known) => merged(known, more)), []);

  useEffect(() => listen(add, (open) => setConnection(open ? 'open' : 'lost')), [add]);

  // Each time that the connection is open: what was said before no event tells.
  useEffect(() => {
    if (channelId && connection !== 'lost') {
      // Where that fails the connection is lost as well, and what is missing is asked for when it is back.
      listMessages(channelId).then(
        (messages) => add(...messages),
        () => {},
      );
    }
  }, [channelId, connection, add]);

  return { messages: all.filter((message) => message.channel_id === channelId), connection, add };
}

/** Each once, by time. */
function merged(known: Message[], more: Message[]): Message[] {
  const byId = new Map([...known, ...more].map((message) => [message.id, message]));
  const sorted = [...byId.values()].sort((a, b) => Date.parse(a.created_at) - Date.parse(b.created_at));
  return sorted.slice(-MOST_MESSAGES);
}
