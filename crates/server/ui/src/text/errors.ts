// What went wrong, in words that say what to do.
import { t, type Word } from '../i18n/words';
import type { Failure } from '../state/tree';

const BY_CODE: Record<string, Word> = {
  context_length_exceeded: 'errContext', unsupported_content: 'errUnsupported', unsupported_parameter: 'errParameter', unknown_parameter: 'errParameter', invalid_api_key: 'errKey',
  model_not_found: 'errModel', invalid_image_url: 'errUrl', failed_to_download_image: 'errUrl',
  image_file_too_large: 'errFileBig', image_too_large: 'errPixels', image_parse_error: 'errParse', invalid_image: 'errParse', invalid_image_format: 'errParse',
  unsupported_image_media_type: 'errParse', empty_image_file: 'errParse', server_is_overloaded: 'errBusy', slow_down: 'errBusy', request_too_large: 'errBodyBig',
  server_error: 'errServer',
};

export function explain(f: Failure): string {
  if (f.kind === 'network') return t('errNetwork');
  const word = f.code && BY_CODE[f.code];
  if (word) return t(word);
  if (f.file) return t('errFile');
  if (f.status === 401 || f.status === 403) return t('errKey');
  if (f.status === 413) return t('errBodyBig');
  if (f.status === 429 || f.status === 503) return t('errBusy');
  return t(f.status && f.status < 500 ? 'errRequest' : 'errServer');
}
