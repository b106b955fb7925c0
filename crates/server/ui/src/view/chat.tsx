// Centre: the conversation, the stage above it, the composer below.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { current } from '../state/library';
import { path } from '../state/tree';
import { t } from '../i18n/words';
import { Composer } from './composer';
import { Stage, stage } from './stage';
import { TurnView } from './turn';
import { Welcome } from './welcome';

export function Chat() {
  const c = current.value;
  const turns = path(c.value);
  const log = useRef<HTMLDivElement>(null);
  const follow = useRef(true);
  const last = turns.at(-1);
  useEffect(() => {
    follow.current = true;
    stage.value = undefined;
  }, [c.value.id]);
  useLayoutEffect(() => {
    const box = log.current;
    // The first page is read from its top.
    if (!turns.length) follow.current = false;
    if (box && follow.current) box.scrollTop = box.scrollHeight;
  });
  // A new question is always looked at, wherever one has scrolled.
  useEffect(() => { follow.current = true; }, [last?.id]);
  useEffect(() => {
    const inner = log.current?.firstElementChild;
    if (!inner) return;
    const observer = new ResizeObserver(() => { if (log.current && follow.current) log.current.scrollTop = log.current.scrollHeight; });
    observer.observe(inner);
    observer.observe(log.current!);
    return () => observer.disconnect();
  }, []);
  return (
    <main class="chat">
      <Stage />
      <div ref={log} class="log" role="log" aria-live="off" aria-label={t('conversation')} tabIndex={0} onScroll={(e) => { const b = e.currentTarget; follow.current = b.scrollHeight - b.scrollTop - b.clientHeight < 40; }}>
        <div class="turns">
          {turns.length ? turns.map((turn) => <TurnView key={turn.id} c={c} turn={turn} last={turn.id === last?.id} />) : <Welcome />}
        </div>
      </div>
      <Announcer status={last?.role === 'assistant' ? last.status : undefined} text={last?.text ?? ''} />
      <Composer />
    </main>
  );
}

/** Tells a screen reader when an answer begins and, once, what it says: not every token. */
function Announcer({ status, text }: { status?: string; text: string }) {
  const [said, say] = useState('');
  useEffect(() => {
    if (status === 'waiting') say(t('waiting'));
    else if (status === 'done') say(`${t('answer')}: ${text.slice(0, 600)}`);
    else if (status === 'stopped') say(t('stopped'));
  }, [status]);
  return <div class="sr" role="status">{said}</div>;
}
