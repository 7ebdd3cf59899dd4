"""Tokenizers and classifiers: from the Hub, a folder or the bundled encoder; saved so that ``pipeline`` just works."""

from sentiment140_bert.models.architecture import ID2LABEL as ID2LABEL
from sentiment140_bert.models.architecture import read_dropouts as read_dropouts
from sentiment140_bert.models.load import build_untrained as build_untrained
from sentiment140_bert.models.load import load_base_model as load_base_model
from sentiment140_bert.models.load import load_config as load_config
from sentiment140_bert.models.load import load_encoder as load_encoder
from sentiment140_bert.models.load import load_model_and_tokenizer as load_model_and_tokenizer
from sentiment140_bert.models.locate import BUNDLED as BUNDLED
from sentiment140_bert.models.locate import find_cached_commit as find_cached_commit
from sentiment140_bert.models.locate import find_folder as find_folder
from sentiment140_bert.models.locate import is_hub_id as is_hub_id
from sentiment140_bert.models.locate import locate as locate
from sentiment140_bert.models.save import CALIBRATION as CALIBRATION
from sentiment140_bert.models.save import is_calibrated as is_calibrated
from sentiment140_bert.models.save import read_calibration as read_calibration
from sentiment140_bert.models.save import save_model as save_model
from sentiment140_bert.models.save import save_tokenizer as save_tokenizer
from sentiment140_bert.models.save import write_calibration as write_calibration
from sentiment140_bert.models.staging import SAFETENSORS as SAFETENSORS
from sentiment140_bert.models.staging import compare_settings as compare_settings
from sentiment140_bert.models.staging import find_weights as find_weights
from sentiment140_bert.models.staging import hash_local_weights as hash_local_weights
from sentiment140_bert.models.staging import list_dropped_settings as list_dropped_settings
from sentiment140_bert.models.staging import resolve_commit as resolve_commit
from sentiment140_bert.models.tokenizer import load_tokenizer as load_tokenizer
from sentiment140_bert.models.tokenizer import make_padding_tokenizer as make_padding_tokenizer
