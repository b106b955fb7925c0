// Tool calls as cards; where no result is there yet, a person can give it.
import { useState } from 'preact/hooks';
import type { ToolCall } from '../state/tree';
import { t } from '../i18n/words';

const pretty = (json: string): string => {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
};

export function ToolCalls({ calls, open, onResults }: { calls: ToolCall[]; open: boolean; onResults: (results: { id: string; content: string }[]) => void }) {
  const [results, set] = useState<Record<string, string>>({});
  return (
    <form class="tools" onSubmit={(e) => { e.preventDefault(); onResults(calls.map((call) => ({ id: call.id, content: results[call.id] ?? '' }))); }}>
      {calls.map((call, i) => (
        <div class="tool" key={call.id || i}>
          <div class="tool-head"><span class="tag">{t('toolCall')}</span> <code>{call.name}</code></div>
          <pre tabIndex={0} aria-label={t('arguments')}>{pretty(call.arguments)}</pre>
          {open && <label class="field"><span>{t('result')}</span><textarea rows={2} value={results[call.id] ?? ''} onInput={(e) => { const content = e.currentTarget.value; set((r) => ({ ...r, [call.id]: content })); }} /></label>}
        </div>
      ))}
      {open && <button type="submit" class="main">{t('sendResults')}</button>}
    </form>
  );
}

export function ToolResults({ results }: { results: { id: string; content: string }[] }) {
  return <>{results.map((r) => (
    <details class="tool" key={r.id}><summary><span class="tag">{t('result')}</span> <code>{r.content.slice(0, 60)}</code></summary><pre tabIndex={0}>{pretty(r.content)}</pre></details>
  ))}</>;
}
