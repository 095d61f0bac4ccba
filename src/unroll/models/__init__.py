"""Networks built from recurrent layers, and what goes between them: attention, pooling, a Transformer encoder."""

from unroll.models.attention import AdditiveAttention, Attention, DotAttention, GeneralAttention, Memory
from unroll.models.classify import SequenceClassifier
from unroll.models.crf import CRF
from unroll.models.encoder_layer import KeyValueState
from unroll.models.encoder_stream import TransformerStream
from unroll.models.forecast import DirectForecast
from unroll.models.multihead import MultiHeadAttention
from unroll.models.pooling import AttentionPooling, LastPooling, MaxPooling, MeanPooling, Pooling
from unroll.models.positions import sinusoids
from unroll.models.registry import ATTENTIONS, POOLINGS, attention, pooling
from unroll.models.tag import FeatureHead, MorphemeHead, SequenceHead, TagHead, WordTagger
from unroll.models.transformer import TransformerEncoder
from unroll.models.words import WordBatch, WordEncoder

__all__ = [
    "ATTENTIONS",
    "CRF",
    "POOLINGS",
    "AdditiveAttention",
    "Attention",
    "AttentionPooling",
    "DirectForecast",
    "DotAttention",
    "FeatureHead",
    "GeneralAttention",
    "KeyValueState",
    "LastPooling",
    "MaxPooling",
    "MeanPooling",
    "Memory",
    "MorphemeHead",
    "MultiHeadAttention",
    "Pooling",
    "SequenceClassifier",
    "SequenceHead",
    "TagHead",
    "TransformerEncoder",
    "TransformerStream",
    "WordBatch",
    "WordEncoder",
    "WordTagger",
    "attention",
    "pooling",
    "sinusoids",
]
