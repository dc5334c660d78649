# From the recordings in KWS_DATA to the models that ship, three seeds each: `make zoo`, or `make compact` and its like for
# one. SEEDS=0 trains the one that ships. A run that was stopped goes on where it was, and one that is complete is not repeated.
ZOO := compact-large compact compact-tiny lightcnn gru-stream gru-stream-large
STREAMING := gru-stream gru-stream-large
SEEDS := 0 1 2
SYNTHETIC := runs/synthetic
RECORDED := --data $(KWS_DATA)/speech_commands --noise $(KWS_DATA)/noise/train $(KWS_DATA)/noise/background \
    --val-noise $(KWS_DATA)/noise/val --rir $(KWS_DATA)/rir/train --speech $(KWS_DATA)/speech \
    --words $(KWS_DATA)/cut_words $(KWS_DATA)/other_words
SOURCES := $(RECORDED) $(SYNTHETIC)
LEARN = $(BIN)/python -m models.train $(SOURCES) --run $(@D) --seed $(lastword $(subst -, ,$(@D))) --threads 1 \
    $(if $(wildcard $(@D)/last.ckpt),--resume)
# What single words cannot teach, sentences can: encoders that begin with their phones (docs/adr/0017-phones-first.md). One for
# all seeds of a network, and for the networks of its size that teach.
PHONES = --weights runs/phones-$(1)/encoder.pth
# Networks that only teach. The small ones learnt from the first two; the others from two of the large one's size, one of them
# with more dropout, so that they err differently.
TEACHERS := runs/teacher-10 runs/teacher-11
TUTORS := runs/tutor-0 runs/tutor-1
TAUGHT = --teachers $(TEACHERS:%=%/best.ckpt)
TUTORED = --teachers $(TUTORS:%=%/best.ckpt)
# Networks as small as these do not exhaust what they are shown: masks cost them more than they teach (docs/ablation.md).
UNMASKED := --set time_mask=0 bin_mask=0
# Throats of other lengths; that they help is not shown (docs/ablation.md).
THROATS := vocal_tract=0.1
# Chosen on validation recordings: docs/adr/0005-operating-point.md, 0006-calibration.md.
EXPORT = $(BIN)/python -m export $(POINT)
POINT := --threshold 0.9 --release 0.45
lightcnn runs/lightcnn-%/model.onnx: POINT := --unknown-ratio 2 --threshold 0.8 --release 0.4
# They hold a word for as long as a window would see it, whatever the gate does meanwhile, and learnt for how long that is.
gru-stream runs/gru-stream-%/model.onnx: POINT := --threshold 0.9 --release 0.45 --refractory-ms 1200 --smoothing-ms 320
gru-stream-large runs/gru-stream-large-%/model.onnx: POINT := --threshold 0.92 --release 0.46 --refractory-ms 1200 --smoothing-ms 400

.PHONY: zoo $(ZOO)
.SECONDARY:
zoo: $(ZOO)

$(SYNTHETIC)/README.md: | $(VENV)/.train
	$(BIN)/python -m models.synthesize -o $(SYNTHETIC) --look-alikes 35 --voices 175

runs/teacher-%/done: $(SYNTHETIC)/README.md
	$(LEARN) compact-teacher --epochs 24
	touch $@

runs/phones-%/encoder.pth: | $(VENV)/.train
	$(BIN)/python -m models.pretrain $* --speech $(KWS_DATA)/speech --noise $(KWS_DATA)/noise/train $(KWS_DATA)/noise/background \
	    --rir $(KWS_DATA)/rir/train --run $(@D) --threads 1 $(if $(wildcard $(@D)/last.ckpt),--resume)

runs/tutor-0/done runs/tutor-1/done: $(SYNTHETIC)/README.md runs/phones-compact-large/encoder.pth
	$(LEARN) compact-large --epochs 14 $(call PHONES,compact-large) $(UNMASKED) \
	    $(if $(findstring tutor-1,$@),--network dropout=0.3)
	touch $@

runs/compact-large-%/done: $(TUTORS:%=%/done)
	$(LEARN) compact-large --epochs 14 $(call PHONES,compact-large) $(TUTORED) $(UNMASKED)
	touch $@

runs/compact-%/done: $(TUTORS:%=%/done) runs/phones-compact/encoder.pth
	$(LEARN) compact --epochs 28 --learning-rate 4e-3 $(call PHONES,compact) $(TUTORED) $(UNMASKED)
	touch $@

runs/compact-tiny-%/done: $(TEACHERS:%=%/done)
	$(LEARN) compact-tiny --epochs 36 --learning-rate 5e-3 $(TAUGHT) $(UNMASKED)
	touch $@

runs/lightcnn-%/done: $(TEACHERS:%=%/done)
	$(LEARN) lightcnn --epochs 96 $(TAUGHT) $(UNMASKED)
	touch $@

# What streams teach that no second does (docs/adr/0011-streaming-networks.md): six of them full of keywords, one of those
# with hardly any noise, down to zeros between the words, and two of synthetic voices; and ten in which keywords stand among
# sentences.
FULL := 10 11 12 13 14 15
QUIET := 12
SYNTHESISED := 13 15
COMPOSE = $(BIN)/python -m models.compose -o $@ --noise $(KWS_DATA)/noise --speech $(KWS_DATA)/speech --rir $(KWS_DATA)/rir \
    --hours 2 --overlap-share 0 --seed $*
STREAMS := $(patsubst %,runs/streams/train%.flac,$(FULL) 20 21 22 23 24 25 26 27 28 29)
$(SYNTHESISED:%=runs/streams/train%.flac): $(SYNTHETIC)/README.md
runs/streams/train%.flac: | $(VENV)/.train
	mkdir -p $(@D)
	$(COMPOSE) --split train --data $(if $(filter $*,$(SYNTHESISED)),$(SYNTHETIC),$(KWS_DATA)/speech_commands) \
	    --keywords $(if $(filter $*,$(FULL)),2200,700) --snr-db $(if $(filter $*,$(QUIET)),40 100,0 25)

# Streaming networks of two sizes, taught by the large one that sees windows, on clips and along streams, and by what is true of
# the streams; and the twin of the small one, which sees windows.
STREAMED = $(LEARN) gru-$(1) --epochs 60 --learning-rate 4e-3 $(call PHONES,gru-$(1)) --teachers compact-large $(UNMASKED)
ALONG = --streams $(STREAMS) --streams-after 36
runs/gru-stream-%/done: $(SYNTHETIC)/README.md runs/phones-gru-stream/encoder.pth $(STREAMS)
	$(call STREAMED,stream) $(ALONG)
	touch $@

runs/gru-stream-large-%/done: $(SYNTHETIC)/README.md runs/phones-gru-stream-large/encoder.pth $(STREAMS)
	$(call STREAMED,stream-large) $(ALONG)
	touch $@

runs/gru-window-%/done: $(SYNTHETIC)/README.md runs/phones-gru-window/encoder.pth
	$(call STREAMED,window)
	touch $@

# What each ingredient is worth, by the smallest network, and what negatives are worth to the default one. All runs take the
# same number of steps: without some of the clips an epoch would be shorter.
ABLATE := $(BIN)/python -m models.ablate
ABLATION = $(SOURCES) --threads 1 --passes 4 --set rows=19456 $(UNMASKED)
.PHONY: ablation negatives vocal-tracts phones
ablation: $(TEACHERS:%=%/done)
	$(ABLATE) compact-tiny -o runs/ablation --seeds $(SEEDS) $(ABLATION) --epochs 12 --learning-rate 5e-3
	$(ABLATE) compact-tiny -o runs/ablation-teachers --seeds $(SEEDS) --without teachers $(ABLATION) --epochs 12 \
	    --learning-rate 5e-3 $(TAUGHT)

negatives: $(SYNTHETIC)/README.md
	$(ABLATE) compact -o runs/negatives --seeds 0 --without "both of these" $(ABLATION) --epochs 12 --learning-rate 4e-3

# As long as the default one is trained: what bends examples may pay where they are exhausted.
vocal-tracts: $(SYNTHETIC)/README.md
	$(ABLATE) compact -o runs/vocal-tracts --seeds $(SEEDS) --without "vocal tracts" $(SOURCES) --threads 1 $(UNMASKED) \
	    $(THROATS) --epochs 28 --learning-rate 4e-3

# What the sentences of an encoder are worth where there is little else: recorded words alone, a tenth of the rows.
phones: runs/phones-compact/encoder.pth
	$(ABLATE) compact -o runs/ablation-phones --seeds $(SEEDS) --without "phones of sentences" $(RECORDED) --threads 1 \
	    --epochs 20 --passes 5 --batch 32 --learning-rate 2e-3 --set rows=2432 $(UNMASKED:--set%=%) $(call PHONES,compact)

# The study's tables: small networks with all clips, those of 20 million parameters and more with a tenth of them, which is
# what two cores can do.
# What trainings came to is kept in docs/study and docs/zoo; without those folders, all of it is trained anew.
STUDY := $(BIN)/python -m models.study --data $(KWS_DATA)/speech_commands -o runs/study --records docs/study \
    --write docs/study.md --threads 1 --trunk-rate 1e-4 --max-epochs 30
IMAGENET := --weights squeezenet=$(KWS_WEIGHTS)/squeezenet1_1_imagenet.npz@57.4
.PHONY: study networks
study: | $(VENV)/.train
	$(STUDY) --tables scratch pretrained --networks squeezenet --shares 0.1 0.3 1 --seeds 0 1 2 \
	    $(IMAGENET)
	$(STUDY) --tables scratch pretrained --networks squeezenet --shares 0.1 --seeds 3 4 5 $(IMAGENET)
	$(STUDY) --tables scratch --networks lightcnn-spectrogram --shares 0.1 0.3 1 --seeds 0 1 2
	$(STUDY) --tables folds variants
	$(STUDY) --tables scratch --networks mnist inception-v3 --shares 0.1 --seeds 0 1 2
	$(STUDY) --tables scratch --networks vgg16 resnet50 --shares 0.1

# Every network of the registry by one modest recipe, of real recordings alone. Two commands with --networks share it.
networks: | $(VENV)/.train
	$(BIN)/python -m export.roster -o runs/roster --records docs/zoo --write docs/zoo.md $(RECORDED) --threads 1 \
	    --epochs 5 --passes 5 --batch 32 --learning-rate 1e-3 --set rows=2432 $(UNMASKED:--set%=%)

runs/%/model.onnx: runs/%/done
	$(EXPORT) $(@D)/last.ckpt -o $@

# The first seed ships; the others are in the card. No seed is chosen by its figures, and no epoch: the last one ends the cycle.
# Where 8 bits win nothing, none ship (docs/adr/0007-int8.md).
.SECONDEXPANSION:
$(ZOO): $$(foreach seed,$$(SEEDS),runs/$$@-$$(seed)/model.onnx)
	$(EXPORT) runs/$@-0/last.ckpt -o kws_stream/zoo/$@.onnx
	$(if $(filter compact $(STREAMING),$@),$(OPERATE))
	$(BIN)/python -m export.card $@ --test $(KWS_DATA)/speech_commands/test --val $(KWS_DATA)/speech_commands/val \
	    $(if $(word 2,$(SEEDS)),--seeds $(patsubst %,runs/$@-%/model.onnx,$(wordlist 2,9,$(SEEDS)))) --write docs/models/$@.md
	$(if $(filter-out $(STREAMING),$@),$(EIGHT_BITS))
	$(BIN)/python -m export.card --zoo

# What the operating point comes to on streams of val stands in the file. For most a command stands alone
# (docs/adr/0015-decoder.md); for gru-stream that gains little, and is a twentieth of what it costs.
JUDGED := runs/streams/val1.flac runs/streams/val2.flac
$(JUDGED): runs/streams/val%.flac: | $(VENV)/.train
	mkdir -p $(@D)
	$(COMPOSE) --split val --data $(KWS_DATA)/speech_commands --keywords 1000

compact $(STREAMING): $(JUDGED)
define OPERATE
$(BIN)/python -m export.operate kws_stream/zoo/$@.onnx -o kws_stream/zoo/$@.onnx --streams $(JUDGED) --rule kept \
    $(if $(filter-out gru-stream,$@),--alone 2)
endef

define EIGHT_BITS
$(BIN)/python -m export.quantize kws_stream/zoo/$@.onnx -o kws_stream/zoo/$@-int8.onnx --data $(KWS_DATA)/speech_commands
$(BIN)/python -m export.card $@-int8 --test $(KWS_DATA)/speech_commands/test --write docs/models/$@-int8.md
endef
